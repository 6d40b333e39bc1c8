"""An observation to ranked candidates; one file a policy."""
