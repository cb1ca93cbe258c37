"""Values that every layer speaks: errors, units, questions, actions, reports. No I/O."""
