"""One report a file: its columns, the words of how each is counted, its lines, and the rows behind its figures."""
