"""Who still makes deprecated calls: seen, counted and reported."""
