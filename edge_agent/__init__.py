"""The device's side: small enough to read at one sitting."""
