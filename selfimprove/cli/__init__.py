"""The command line: one file a command, with its options, help and exit codes; no logic lives here.

`app.py` is the entry point: it collects the commands, and turns every error that a user can cause into one line, a hint
and an exit code. `options.py` has the options that several commands take, `parsing.py` turns what was typed into
values, `output.py` has what several commands print and write alike, `completion.py` completes names in the shell.
"""
