"""Memory, throughput and start-up time of one replica, from the model's architecture."""
