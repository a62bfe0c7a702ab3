"""What stands behind the ports: files, git, processes, HTTP, clock; one port each."""
