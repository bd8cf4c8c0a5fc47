"""What holds for all tests."""

import signal

# A process that a script started in its background ignores Ctrl-C, and so would all that it starts. Tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)
