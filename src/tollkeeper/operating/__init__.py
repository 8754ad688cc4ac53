"""Operating: what operators ask and do."""
