"""What the scripts for the tables and figures of the LRC paper share: tasks, their training, their errors, a queue."""
