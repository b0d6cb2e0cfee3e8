"""What a trained vanilla network predicts, and how the prediction compares with the search."""
