module homeport.test/karpenter-aws

go 1.26.5

require github.com/aws/karpenter-provider-aws v1.13.0 // indirect
