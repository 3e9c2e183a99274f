import { open } from "../src/backends/s3/index.ts";
import { bucketBehaviour } from "./bucket-behaviour.ts";

bucketBehaviour("S3", {
  open,
  url: ({ url, accessKey, secretKey }, bucket, parameters = "") =>
    `s3://${bucket}?endpoint=${url}&access_key_id=${accessKey}&secret_access_key=${secretKey}${parameters}`,
  below: "/team%20a/x",
  quirks: { "no-proto-metadata": "the AWS SDK loses that name when it reads" },
  login: /look at AWS_ACCESS_KEY_ID, AWS_PROFILE, .* or access_key_id=/,
});
