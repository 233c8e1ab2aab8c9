"""What people see: lines, tables, progress and pictures."""
