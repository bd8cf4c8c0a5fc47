"""What holds for all tests."""

import signal

# A process that a script started in its background ignores Ctrl-C, and so would all that it starts. Tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

collect_ignore = ["accounting/record_tools.py"]  # a command, for an environment with tools that no test needs
