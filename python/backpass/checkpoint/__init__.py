"""Checkpoints: all that training goes on from, in one safetensors file."""
