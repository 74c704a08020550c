"""The look of every command: options they share, rows, messages, exit codes; no Pulumi."""
