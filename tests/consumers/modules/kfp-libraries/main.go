// Opens bucket and database as Pipelines 2.16.0 does, with the libraries in the versions of its go.mod;
// Pipelines itself is served by no registry as a module that builds.
//
//	kfp-libraries put ROOT KEY     the launcher: writes standard input below the pipeline root
//	kfp-libraries get ROOT KEY     the launcher: prints it
//	kfp-libraries list ROOT KEY    the launcher: prints the keys that begin with KEY
//	kfp-libraries head             the API server's start: HeadBucket
//	kfp-libraries read KEY         the API server: prints an object
//	kfp-libraries database         the API server: prints the TLS version of its connection
//
// The API server's commands read its variables.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/go-sql-driver/mysql"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	switch strings.Join(arguments[:min(1, len(arguments))], "") + fmt.Sprint(len(arguments)) {
	case "put3", "get3", "list3":
		return launcher(ctx, arguments[0], arguments[1], arguments[2])
	case "head1":
		_, err := apiServer(ctx)
		return err
	case "read2":
		bucket, err := apiServer(ctx)
		if err != nil {
			return err
		}
		return show(ctx, bucket, arguments[1])
	case "database1":
		return database(ctx)
	}
	return fmt.Errorf("%q is no command", arguments)
}

// kubeflow/pipelines 2.16.0, backend/src/v2/objectstore/object_store.go, OpenBucket: with fromEnv in
// kfp-launcher, everything is left to the URL and to the environment.
func launcher(ctx context.Context, command, root, key string) error {
	name, prefix, _ := strings.Cut(strings.TrimPrefix(root, "s3://"), "/")
	bucket, err := blob.OpenBucket(ctx, fmt.Sprintf("s3://%s?prefix=%s/", name, prefix))
	if err != nil {
		return err
	}
	defer bucket.Close()
	switch command {
	case "put":
		content, err := io.ReadAll(os.Stdin)
		if err != nil {
			return err
		}
		return bucket.WriteAll(ctx, key, content, nil)
	case "get":
		return show(ctx, bucket, key)
	}
	every := bucket.List(&blob.ListOptions{Prefix: key})
	for {
		object, err := every.Next(ctx)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Println(object.Key)
	}
}

// backend/src/apiserver/client_manager/client_manager.go, initBlobObjectStore: its own client, in the
// style of paths, and HeadBucket first.
func apiServer(ctx context.Context) (*blob.Bucket, error) {
	settings, err := config.LoadDefaultConfig(ctx, config.WithRegion(variable("REGION")))
	if err != nil {
		return nil, err
	}
	client := s3.NewFromConfig(settings, func(options *s3.Options) {
		options.BaseEndpoint = aws.String("https://" + variable("HOST"))
		options.UsePathStyle = true
	})
	name := variable("BUCKETNAME")
	if _, err := client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &name}); err != nil {
		return nil, err
	}
	return s3blob.OpenBucketV2(ctx, client, name, nil)
}

func variable(name string) string {
	return os.Getenv("OBJECTSTORECONFIG_" + name)
}

func show(ctx context.Context, bucket *blob.Bucket, key string) error {
	content, err := bucket.ReadAll(ctx, key)
	if err == nil {
		_, err = os.Stdout.Write(content)
	}
	return err
}

// backend/src/apiserver/client/sql.go, CreateMySQLConfig.
func database(ctx context.Context) error {
	parameters := map[string]string{"charset": "utf8", "parseTime": "True", "loc": "Local"}
	more := os.Getenv("DBCONFIG_MYSQLCONFIG_EXTRAPARAMS")
	if err := json.Unmarshal([]byte(more), &parameters); err != nil {
		return err
	}
	settings := mysql.Config{
		User:                 os.Getenv("DBCONFIG_MYSQLCONFIG_USER"),
		Passwd:               os.Getenv("DBCONFIG_MYSQLCONFIG_PASSWORD"),
		Net:                  "tcp",
		Addr:                 os.Getenv("DBCONFIG_MYSQLCONFIG_HOST") + ":" + os.Getenv("DBCONFIG_MYSQLCONFIG_PORT"),
		Params:               parameters,
		DBName:               os.Getenv("DBCONFIG_MYSQLCONFIG_DBNAME"),
		AllowNativePasswords: true,
	}
	connection, err := sql.Open("mysql", settings.FormatDSN())
	if err != nil {
		return err
	}
	defer connection.Close()
	var name, version string
	row := connection.QueryRowContext(ctx, "SHOW STATUS LIKE 'Ssl_version'")
	if err := row.Scan(&name, &version); err != nil {
		return err
	}
	fmt.Println(version)
	return nil
}
