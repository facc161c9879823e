"""What is looked for in containers: queries in a URL, pages of answers, and what lies deeper."""
