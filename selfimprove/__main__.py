"""`python -m selfimprove` is the command line."""

from selfimprove.cli import main

main()
