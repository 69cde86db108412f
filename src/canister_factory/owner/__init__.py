"""What owners do with their own canister: keep copies of it, and put one into another canister."""
