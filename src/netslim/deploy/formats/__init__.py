"""The kinds of files that targets write, below what targets say of them."""
