"""``python -m antideepfake`` is the command ``antideepfake``."""

from antideepfake.cli.main import main

if __name__ == "__main__":
    main()
