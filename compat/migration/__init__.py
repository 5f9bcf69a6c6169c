"""Moving old scripts: who still calls, which endpoint answers, what is rewritten, and when it all may go."""
