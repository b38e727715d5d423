"""What the validation scripts share: command lines, references, compiled libraries, reports."""
