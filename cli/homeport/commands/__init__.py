"""The command line: options, exit codes and tables; the only room that knows click."""
