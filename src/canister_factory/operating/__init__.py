"""What operators do to have a backend again when it is lost: copies of it on disk, and putting one into a canister."""
