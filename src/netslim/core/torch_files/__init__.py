"""What a torch file claims, held against its bytes before anything is made of it."""
