"""What was compared, how sure that makes one, and the verdict."""
