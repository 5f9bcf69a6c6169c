"""Claims about speed, one file each: every one a ratio that is measured in one run."""
