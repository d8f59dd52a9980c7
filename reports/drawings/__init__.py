"""What a page draws: charts, the map of the embedding, and small pictures of cards."""
