"""The command line: thin. stdout is data, stderr is talk."""
