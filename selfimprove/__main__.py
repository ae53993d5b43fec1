"""`python -m selfimprove` is the command line."""

from selfimprove.cli.app import main

main()
