"""What each route answers, and all of them in one table."""
