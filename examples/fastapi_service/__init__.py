"""A notes service on FastAPI, instrumented as a user of Assay would."""
