"""What a check found, for people and for programs: one HTML page, Markdown, and JUnit's XML."""
