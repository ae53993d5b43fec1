"""Measurements that the command line can make on the machine it runs on."""
