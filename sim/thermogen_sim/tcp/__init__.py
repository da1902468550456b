"""The compiled TCP and MODBUS server between hand-made IP payloads and a model of the registers."""
