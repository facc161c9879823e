"""Text and HTML made from frozen summaries: what reprs show. Nothing is read here."""
