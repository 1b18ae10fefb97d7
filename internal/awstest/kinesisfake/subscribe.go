package kinesisfake

type consumer struct{}
