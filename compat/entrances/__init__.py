"""Where calls come in: the adapter, the clients, the whole process, and a script that is run unedited."""
