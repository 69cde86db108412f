"""What tests share: worlds, harnesses, data. Tests import it from here, never from each other."""
