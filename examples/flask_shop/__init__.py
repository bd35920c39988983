"""A shop on Flask, instrumented as a user of Assay would."""
