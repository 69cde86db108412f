"""`python -m canister_factory`: the command line."""

from canister_factory.cli import main

if __name__ == "__main__":
    main()
