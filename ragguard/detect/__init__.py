"""What is measured about documents, and what verdict it makes."""
