"""JupyterLab on a working copy of the notebooks: the copy, its parameters, the server, bars of progress."""
