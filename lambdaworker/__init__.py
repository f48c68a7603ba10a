"""The AWS Lambda function: finds and encodes the faces of photos, and posts them back."""
