"""One file per verb. A stage takes a typed configuration, starts from a file and leaves a new one."""
