"""AWS Lambda on this machine, as far as this function needs it: `python -m lambdaworker.emulator`.

Two HTTP interfaces, of the standard library alone: the runtime API, to which the real runtime
interface client (`awslambdaric`) of each instance comes for work
(https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html), and Invoke, to which boto3 or curl
bring it (https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html).
"""
