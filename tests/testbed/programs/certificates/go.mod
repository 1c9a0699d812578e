module homeport.test/certificates

go 1.26.0
