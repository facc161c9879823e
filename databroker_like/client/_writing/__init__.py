"""What changes a server: new nodes, their data and their metadata, and how they are sent."""
