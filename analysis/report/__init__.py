"""What is said: facts, sentences, tables, pictures."""
