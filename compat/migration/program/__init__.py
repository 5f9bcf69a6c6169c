"""What a Python program does with its values, read off its text: where they come from, and where they mean the same."""
